"""Ways to run the model."""

import vfd  # noqa: F401 - before any engine imports openvino: it turns usage reports off
