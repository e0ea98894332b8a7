"""What can be said of published curves: digitised values, their bounds and their consistency."""
