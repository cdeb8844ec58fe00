"""The alternative of paper section 4.7.3 and Table 4: both encoders as VGG networks, in torch.

The paper says "VGG-based" and cites Simonyan and Zisserman, no more. Our reading: the thirteen
convolutions of VGG-16, 3 x 3 with ReLU, without normalisation, a pooling of 2 x 2 after each of
five stages; then, in place of the fully connected layers, which want one fixed picture size, the
mean over all positions and a linear map without bias to the embedding.

Shapes: B batch, C channels, H height, W width, D channels of the last stage, V embedding.
"""

from torch import Tensor, nn
from torch.nn import functional as F

from vfd.model_config import TowerConfig


class VggTower(nn.Module):
    """One encoder. Pooling rounds down: what is left of an odd row or column is dropped."""

    def __init__(self, config: TowerConfig) -> None:
        super().__init__()
        self.config = config
        self.stages = nn.ModuleList(
            nn.ModuleList(nn.Conv2d(i, o, kernel_size=3, padding=1) for i, o in stage)
            for stage in config.vgg_stages
        )
        self.projection = nn.Linear(config.width, config.embedding, bias=False)

    def forward(self, x_BCHW: Tensor) -> Tensor:
        """The embedding before it is scaled to unit length, (B, V)."""
        for stage in self.stages:
            assert isinstance(stage, nn.ModuleList)
            for convolution in stage:
                x_BCHW = F.relu(convolution(x_BCHW))
            x_BCHW = F.max_pool2d(x_BCHW, kernel_size=2)
        y_BV: Tensor = self.projection(x_BCHW.mean(dim=(2, 3)))
        return y_BV
