"""A producer's metrics."""

from prometheus_client import Counter, Gauge

FRAMES = Counter("argus_producer_frames_total", "Frames that Kafka acknowledged.", ["camera"])
BYTES = Counter("argus_producer_bytes_total", "Bytes of the JPEGs that Kafka acknowledged.", ["camera"])
FAILED = Counter("argus_producer_failed_total", "Frames with an identity that Kafka did not take.", ["camera"])
REJECTED = Counter(
    "argus_producer_rejected_total", "Images set aside before they got an identity.", ["camera", "reason"]
)
RETRIES = Counter("argus_producer_camera_retries_total", "Times that a camera was lost or not reached.", ["camera"])
STREAMING = Gauge("argus_producer_camera_streaming", "1 while a camera delivers frames.", ["camera"])
QUEUED = Gauge("argus_producer_queued", "Frames handed to Kafka's client and not yet answered.", ["camera"])
