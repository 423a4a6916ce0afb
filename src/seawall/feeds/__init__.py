"""Where prices come from: files of bars, trades and option chains, and exchanges' history.

Nothing here knows about accounts or margin. A reader checks a file once, as a whole, and hands back
time-ordered arrays; everything after it may assume that prices are positive and time does not run back.
"""
