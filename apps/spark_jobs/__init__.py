"""The model jobs: one Spark application per model reads frames from Kafka and writes one result for each.

The driver's modules (settings, progress, query, health) are separate from those of the executors' Python workers
(worker, models), so that a worker imports neither Spark's session nor pydantic.
"""
