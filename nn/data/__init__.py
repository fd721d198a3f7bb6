"""Data: idx files, MNIST, Fashion-MNIST and CIFAR-10, minibatches, augmentation."""

from nn.data.augment import chain, random_affine, random_crop, random_flip, random_shift
from nn.data.batches import Batches, to_float
from nn.data.cifar import CIFAR10_CLASSES, load_cifar10
from nn.data.idx import DataError, parse_idx, read_idx
from nn.data.mnist import ImageSet, load_fashion_mnist, load_mnist
from nn.data.split import stratified_split
from nn.data.store import DownloadError, cache_dir, fetch

__all__ = [
    "CIFAR10_CLASSES",
    "Batches",
    "DataError",
    "DownloadError",
    "ImageSet",
    "cache_dir",
    "chain",
    "fetch",
    "load_cifar10",
    "load_fashion_mnist",
    "load_mnist",
    "parse_idx",
    "random_affine",
    "random_crop",
    "random_flip",
    "random_shift",
    "read_idx",
    "stratified_split",
    "to_float",
]
