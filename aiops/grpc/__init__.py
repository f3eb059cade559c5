"""The external scaler of KEDA, over gRPC: needs the extra `aiops[keda]`, and is imported only where it is asked for."""
