"""What nobody who uses the project imports: guards, replicas, benchmarks, the making of models."""
