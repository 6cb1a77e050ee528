"""`ringfence doctor`: looks at all that the service rests on, changes nothing, says what to mend."""
