module earshot.dev

go 1.26.0
