"""Models in and out: published weights, families, the Hugging Face Hub, ONNX."""
