"""As in the compiler's output."""
