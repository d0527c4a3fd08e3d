"""The consumer: stores frames and results on disk by camera and hour, serves them, and deletes old ones.

Nothing is committed to Kafka before it is durable, and writing a frame twice leaves one file, so everything committed
is on disk exactly once, however the process ends.
"""
