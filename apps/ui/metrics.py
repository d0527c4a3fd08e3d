"""The UI's metrics."""

from prometheus_client import Counter, Gauge, Histogram

RECORDS = Counter("argus_ui_records_total", "Records read from Kafka for the wall.", ["kind"])
MALFORMED = Counter("argus_ui_malformed_total", "Records that are neither a frame nor a result, skipped.", ["kind"])
NOT_SHOWN = Counter(
    "argus_ui_not_shown_total", "Records of cameras beyond the most that the wall shows unannounced.", ["kind"]
)
REQUEST_SECONDS = Histogram(
    "argus_ui_request_seconds", "Time to answer a request.", ["route", "status"], buckets=(0.005, 0.02, 0.1, 0.5, 2, 10)
)
UNSCHEDULABLE = Gauge("argus_ui_pods_without_room", "Pods of the pipeline that no machine has room for.")
NOT_SEARCHABLE = Gauge(
    "argus_results_not_searchable",
    "Results that a search does not find, as of the last comparison of Kafka, disk and index.",
    ["where"],
)
SENT_AGAIN = Gauge("argus_results_sent_again", "Results that the last comparison found missing, and sent to the index.")
NOT_ON_DISK = Gauge("argus_results_not_on_disk", "Results in Kafka that the consumers took, and that are on no disk.")
FRAMES_NOT_ON_DISK = Gauge("argus_frames_not_on_disk", "Frames of such results that are on no disk.")
STORED_AGAIN = Gauge(
    "argus_stored_again", "Frames and results that the last comparison found on no disk, and had stored again."
)
COMPARED_AT = Gauge("argus_results_compared_timestamp_seconds", "When the last comparison began; 0 for none.")
FILEBEAT_EVENTS = Gauge(
    "argus_filebeat_events",
    "Results in Filebeat since its pods started: dropped are those that the index refused, active those on their way.",
    ["kind"],
)
DISK_USED = Gauge(
    "argus_disk_used_ratio",
    "How full a file system is, of bytes or of files: a pod's volume, or without a pod a disk of the machine.",
    ["machine", "pod"],
)
PARTITIONS = Gauge("argus_ui_partitions", "Partitions that the wall reads.")
LOGINS = Counter("argus_ui_logins_total", "Tries to log in with a password.", ["outcome"])
OPENID_LOGINS = Counter("argus_ui_openid_logins_total", "Tries to log in by OpenID Connect.", ["outcome"])
REFUSED = Counter("argus_ui_refused_total", "Requests refused before any route saw them.", ["reason"])
