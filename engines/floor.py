"""What this processor can do: the rate of one plain matrix product, to measure engines against.

One linear layer of `base` over a window's tokens, 1218 x 768 x 3072, on one thread, in process CPU
time, best of many. The fastest library counts: on AMD processors MKL's float32 is half as fast as
oneDNN's, and a floor that low would let every engine look good.
"""

import time
from collections.abc import Callable
from typing import Any, Final

import numpy as np
import openvino as ov
import openvino.opset13 as ops

from engines.openvino_engine import capabilities
from vfd.openvino_core import openvino_core

ROWS: Final = 1218
INNER: Final = 768
OUTER: Final = 3072
FLOP: Final = 2 * ROWS * INNER * OUTER

Product = Callable[[], object]


class Floor:
    """Candidates for one precision, "f32" or "bf16". `measure` is called between the runs of what
    is measured, so that both meet the same state of the machine."""

    def __init__(self, precision: str) -> None:
        self.precision = precision
        self._candidates = {"openvino": _openvino_product(precision)} | _torch_products(precision)
        self._best_s = dict.fromkeys(self._candidates, float("inf"))
        for product in self._candidates.values():
            product()  # the first call compiles

    def measure(self) -> None:
        """Runs every candidate once."""
        for name, product in self._candidates.items():
            self._best_s[name] = min(self._best_s[name], cpu_seconds(product))

    def rates(self) -> dict[str, float]:
        """FLOP per second by library; after at least one `measure`."""
        return {name: FLOP / best for name, best in self._best_s.items()}

    @property
    def rate(self) -> float:
        """FLOP per second of the fastest."""
        return max(self.rates().values())


def floor_precisions() -> tuple[str, ...]:
    """What of "f32" and "bf16" this processor computes."""
    return ("f32", "bf16") if "BF16" in capabilities() else ("f32",)


def cpu_seconds(call: Callable[[], object]) -> float:
    """Process CPU time of one call: with one thread, what a quiet machine's clock would show."""
    began = time.process_time()
    call()
    return time.process_time() - began


def _arrays() -> tuple[Any, Any]:
    rng = np.random.default_rng(0)
    shapes = (ROWS, INNER), (OUTER, INNER)
    x, weights = (rng.standard_normal(shape).astype(np.float32) for shape in shapes)
    return x, weights


def _openvino_product(precision: str) -> Product:
    x, weights = _arrays()
    node = ops.parameter([ROWS, INNER], np.float32)
    model = ov.Model([ops.matmul(node, ops.constant(weights), False, True)], [node], "floor")
    settings = {
        "INFERENCE_PRECISION_HINT": precision,
        "INFERENCE_NUM_THREADS": 1,
        "NUM_STREAMS": 1,
        "ENABLE_CPU_PINNING": False,
    }
    request = openvino_core().compile_model(model, "CPU", settings).create_infer_request()
    request.set_input_tensor(ov.Tensor(x))

    def product() -> None:
        request.infer()

    return product


def _torch_products(precision: str) -> dict[str, Product]:
    """torch's own choice of library and, for float32, oneDNN; nothing without torch."""
    try:
        import torch
    except ImportError:
        return {}
    torch.set_num_threads(1)
    dtype = torch.bfloat16 if precision == "bf16" else torch.float32
    x, weights = (torch.from_numpy(array).to(dtype) for array in _arrays())
    out = torch.empty(ROWS, OUTER, dtype=dtype)
    products: dict[str, Product] = {
        f"torch {precision}": lambda: torch.mm(x, weights.T, out=out),
    }
    has_onednn = torch.backends.mkldnn.is_available()  # type: ignore[no-untyped-call]
    if precision == "f32" and has_onednn:
        x_dnn, weights_dnn = x.to_mkldnn(), weights.to_mkldnn()
        products["torch oneDNN"] = lambda: torch.nn.functional.linear(x_dnn, weights_dnn)
    return products
