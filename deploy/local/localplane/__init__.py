"""A real Kubernetes control plane on one machine, without containers, for the demo and the cluster tests."""
