"""The consumer's metrics."""

from prometheus_client import Counter, Gauge, Histogram

STORED = Counter("argus_consumer_stored_total", "Files made durable and committed.", ["kind"])
STORED_BYTES = Counter("argus_consumer_stored_bytes_total", "Bytes of the files made durable.", ["kind"])
STORED_AGAIN = Counter(
    "argus_consumer_stored_again_total", "Files that were on no disk, stored at the comparison's request.", ["kind"]
)
REJECTED = Counter("argus_consumer_rejected_total", "Records that cannot be stored, skipped.", ["reason"])
EXPIRED = Counter("argus_consumer_expired_total", "Records already past their retention, skipped.")
COMMIT_FAILURES = Counter("argus_consumer_commit_failures_total", "Commits that Kafka refused; tried again later.")
REMOVED_HOURS = Counter("argus_consumer_removed_hours_total", "Hours of a camera removed by retention.", ["why"])
DISK_BYTES = Gauge("argus_consumer_disk_bytes", "Bytes that all hours take, as of the last retention run.")
DISK_FULL = Gauge("argus_consumer_disk_full", "1 while nothing is stored, because the disk is full; Kafka keeps it.")
ASSIGNED_PARTITIONS = Gauge("argus_consumer_assigned_partitions", "Partitions that this consumer holds.")
FRAME_AGE = Histogram(
    "argus_consumer_frame_age_seconds",
    "From a frame's capture to its being durable on disk.",
    buckets=(0.5, 1, 2, 5, 10, 30, 60, 300, 3600),
)
