"""WatchPolicy: series watched for anomalies."""
