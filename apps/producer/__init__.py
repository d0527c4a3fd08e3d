"""Reads cameras and sends their frames to Kafka: capture, image preparation, JPEG, identity, delivery."""
