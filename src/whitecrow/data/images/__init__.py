"""Images from arrays, IDX files and folders, and their encoder."""

from whitecrow.data.images.encoder import ImageEncoder
from whitecrow.data.images.files import ImageFolder, ImageSet, read_folder
from whitecrow.data.images.idx import read_idx
from whitecrow.data.images.images import ImageFiles, Images, Layout, as_images

__all__ = [
    "ImageEncoder",
    "ImageFiles",
    "ImageFolder",
    "ImageSet",
    "Images",
    "Layout",
    "as_images",
    "read_folder",
    "read_idx",
]
