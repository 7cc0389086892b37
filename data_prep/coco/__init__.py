"""The ``coco`` source: MS-COCO captions and images in their official layout."""
