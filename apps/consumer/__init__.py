"""The consumer: writes every frame and every result to disk by camera and hour, keeps them for a while, serves them.

Nothing is committed to Kafka before it is durable, and writing the same frame twice leaves one file, so what was
committed is on the disk exactly once whatever stops the process.
"""
