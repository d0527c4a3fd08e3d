"""The model jobs: one Spark application per model reads frames from Kafka and writes one result for each.

What runs on the driver (settings, progress, query, health) is apart from what runs in the executors' Python
workers (worker, jpeg, models), so that a worker imports neither Spark's session nor pydantic.
"""
