module taskhub.example/program

go 1.19
