"""Real bugs, one test or more for each: what would have shown it appears, and what must not be said is not said.

Each is a public report, rebuilt as a small model in words of our own. These need the person's script to be listened to,
and wait for the trace:

- Lightning#2551, #18930: frozen batch norms revived by ``model.train()``: who set the flag, on which line. (That such
  layers move although they are frozen is told: ``test_frozen.py``.)
- Lightning#20105: fine-tuning in eval because the loader returns models in eval: which line returned it. (That the root
  and its parts are in different modes is shown: ``test_frozen.py``.)
- pytorch#20528: which thread of a script ran in which grad mode. (A model that works in threads of its own is told:
  ``test_gradients.py``.)
- ``Variable(x, volatile=True)``, which has had no effect for years.
"""
