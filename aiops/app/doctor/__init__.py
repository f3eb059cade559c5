"""`aiops doctor`: what would keep the daemon from its work, found before it does. Nothing is written anywhere.

Each check looks at one thing and says what it found and what to do about it. One that fails or hangs harms no other.
"""
