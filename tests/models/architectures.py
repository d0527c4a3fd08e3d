"""The networks of Ultralytics' own yaml files, narrowed until an export has some hundred kilobytes."""

from typing import Any

Layer = list[Any]

BACKBONE: list[Layer] = [
    [-1, 1, "Conv", [16, 3, 2]],
    [-1, 1, "Conv", [24, 3, 2]],
    [-1, 1, "C3k2", [32, False, 0.25]],
    [-1, 1, "Conv", [32, 3, 2]],
    [-1, 1, "C3k2", [48, False, 0.25]],  # 4, stride 8
    [-1, 1, "Conv", [48, 3, 2]],
    [-1, 1, "C3k2", [64, False]],  # 6, stride 16
    [-1, 1, "Conv", [64, 3, 2]],
    [-1, 1, "C3k2", [64, False]],
    [-1, 1, "SPPF", [64, 5]],  # 9, stride 32
]
NECK: list[Layer] = [
    [-1, 1, "nn.Upsample", [None, 2, "nearest"]],
    [[-1, 6], 1, "Concat", [1]],
    [-1, 1, "C3k2", [64, False]],  # 12
    [-1, 1, "nn.Upsample", [None, 2, "nearest"]],
    [[-1, 4], 1, "Concat", [1]],
    [-1, 1, "C3k2", [48, False]],  # 15
    [-1, 1, "Conv", [48, 3, 2]],
    [[-1, 12], 1, "Concat", [1]],
    [-1, 1, "C3k2", [64, False]],  # 18
    [-1, 1, "Conv", [64, 3, 2]],
    [[-1, 9], 1, "Concat", [1]],
    [-1, 1, "C3k2", [64, False]],  # 21
]
LEVELS = [15, 18, 21]

HEADS_26: dict[str, Layer] = {
    "detect": ["Detect", ["nc"]],
    "segment": ["Segment26", ["nc", 32, 32]],
    "pose": ["Pose26", ["nc", "kpt_shape"]],
    "obb": ["OBB26", ["nc", 1]],
}


def yolo26(task: str, classes: int, keypoints: tuple[int, int] | None = None) -> dict[str, Any]:
    """A network with YOLO26's two heads: one is exported as anchors, the other end-to-end."""
    network = {
        "nc": classes,
        "end2end": True,
        "reg_max": 1,
        "backbone": BACKBONE,
        "head": [*NECK, [LEVELS, 1, *HEADS_26[task]]],
    }
    return network | ({"kpt_shape": list(keypoints)} if keypoints else {})


def yolo11(classes: int, channels: int = 3) -> dict[str, Any]:
    """A detector with YOLO11's head, which has only anchors."""
    head = [*NECK, [LEVELS, 1, "Detect", ["nc"]]]
    return {"nc": classes, "channels": channels, "reg_max": 8, "backbone": BACKBONE, "head": head}


def classifier(classes: int) -> dict[str, Any]:
    """YOLO11's classifier. Its head has 1280 channels whatever the yaml says."""
    return {"nc": classes, "backbone": BACKBONE[:-1], "head": [[-1, 1, "Classify", ["nc"]]]}


def rtdetr(classes: int) -> dict[str, Any]:
    """RT-DETR's encoder and decoder, 64 channels wide: 60 queries, two decoder layers."""
    head: list[Layer] = [
        [-1, 1, "AIFI", [128, 4]],  # 10
        [-1, 1, "nn.Upsample", [None, 2, "nearest"]],
        [[-1, 6], 1, "Concat", [1]],
        [-1, 1, "RepC3", [64, 0.5]],  # 13
        [-1, 1, "nn.Upsample", [None, 2, "nearest"]],
        [[-1, 4], 1, "Concat", [1]],
        [-1, 1, "RepC3", [64, 0.5]],  # 16
        [-1, 1, "Conv", [64, 3, 2]],
        [[-1, 13], 1, "Concat", [1]],
        [-1, 1, "RepC3", [64, 0.5]],  # 19
        # nc, hidden width, queries, points, heads, layers, feed-forward width
        [[16, 19, 10], 1, "RTDETRDecoder", ["nc", 64, 60, 4, 4, 2, 128]],
    ]
    return {"nc": classes, "backbone": BACKBONE, "head": head}
