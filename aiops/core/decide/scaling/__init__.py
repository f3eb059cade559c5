"""ScalingPolicy: replicas for demand."""
