"""Reads cameras and hands their frames to Kafka: capture, basic operations on the image, JPEG, identity, delivery."""
