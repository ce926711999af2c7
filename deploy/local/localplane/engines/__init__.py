"""LLM engines played in closed loop: what pods of a RoleBasedGroup would export under a load somebody sets.

The load is offered, ready replicas serve it, and what they cannot serve waits: queues, KV usage and counters
follow from that alone, so a role that is scaled up sees its queue fall.
"""
