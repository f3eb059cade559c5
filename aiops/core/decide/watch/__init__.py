"""The kind `WatchPolicy`: which series are watched for anomalies."""
