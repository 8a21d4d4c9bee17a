// house style
