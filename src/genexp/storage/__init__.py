"""Outputs in a store such as an S3 bucket: `paths.output=s3://bucket/runs`.

A run always works in a folder of this machine, because appending to files, renaming them and locking need a file
system. Where its output is an address, the store holds a copy of that folder: a thread sends what has changed after
each checkpoint, picture and score, and whoever goes on with the run, on any machine, fetches it first.
"""
