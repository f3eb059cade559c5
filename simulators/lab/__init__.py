"""The lab: many scaling contests at once, in arrays. A lane is one trace under one autoscaler; a step is 15 s.

It is smaller than the world of `simulators.world` (one service a lane, no API, no faults) and a thousand times faster,
which is what curves over knobs, traces and seeds need. Queueing is the same theory (`aiops.core.queueing`).
"""
