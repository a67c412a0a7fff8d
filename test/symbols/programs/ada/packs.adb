package body Packs is procedure Run is begin S (0) := S (0) - 1; P (1) := not P (2); end Run; end Packs;
