--  Arrays and records as otherLanguages.test.ts asks for them.
package Shapes is
   type Kind is (Point, Line, Circle, Box);
   type Grid is array (Kind) of Integer;
   type Neg is array (-3 .. 3) of Short_Integer;
   type Mat is array (1 .. 2, 5 .. 7) of Integer;
   type Shape (K : Kind := Line; N : Integer := 4) is record
      Id : Integer := 7;
      case K is
         when Point => null;
         when Line => A, B : Integer := 3;
         when Circle | Box =>
            R : Integer := 9;
            case N is
               when 1 .. 5 | 9 => Small : Integer := 55;
               when others => Big : Long_Integer := 66;
            end case;
      end case;
   end record;
   G : Grid := (10, 20, 30, 40);
   Ng : Neg := (1, 2, 3, 4, 5, 6, 7);
   M : Mat := ((1, 2, 3), (4, 5, 6));
   S1 : Shape := (K => Line, N => 4, Id => 1, A => 11, B => 12);
   S2 : Shape := (K => Circle, N => 9, Id => 2, R => 21, Small => 22);
   S3 : Shape := (K => Box, N => 6, Id => 3, R => 31, Big => 32);
   S4 : Shape := (K => Point, N => 6, Id => 4);
   type Flag_Rec (D : Boolean := True) is record
      case D is when True => X : Integer; when False => Y : Float; end case;
   end record;
   F1 : Flag_Rec := (D => True, X => 8);
   F2 : Flag_Rec := (D => False, Y => 1.5);
   procedure Kmain;
   pragma Export (C, Kmain, "kmain");
end Shapes;
