with Shapes;
procedure Top is
begin
   Shapes.Kmain;
end Top;
