"""rbg-autoscaler: the GPU-aware autoscaler for LLM serving roles (RoleBasedGroup) on Kubernetes."""
