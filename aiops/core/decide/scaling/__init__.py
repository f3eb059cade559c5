"""The kind `ScalingPolicy`: how many replicas a workload needs now, and soon."""
