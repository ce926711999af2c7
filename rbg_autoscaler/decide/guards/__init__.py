"""Stage 8: what holds a number back although the role's load asks for it.

Each guard is a small function with its own reason; `guard.py` asks them in their order.
"""
