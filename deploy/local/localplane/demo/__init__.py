"""The demo: a load rises and falls, the roles of a group follow it, and a live view shows why.

What it shows and judges comes from outside the controller, as an operator would get it.
"""
