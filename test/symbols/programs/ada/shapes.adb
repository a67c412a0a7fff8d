package body Shapes is
   procedure Kmain is
   begin
      G (Point) := G (Point) + 1;
   end Kmain;
end Shapes;
