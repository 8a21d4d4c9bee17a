// Verbena
