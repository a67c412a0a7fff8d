#define FLAG_A 0x100
#define IN_HEADER "header"
#define ADD(a, b) ((a) + (b))
