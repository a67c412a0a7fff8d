--  Arrays without gaps, and fields of fewer bits than their types.
package Packs is
   type Bits is array (0 .. 9) of Boolean; pragma Pack (Bits);
   type Colour is (Red, Green, Blue);
   type Colours is array (1 .. 7) of Colour; pragma Pack (Colours);
   type Small is range -8 .. 7;
   type Smalls is array (-1 .. 5) of Small; pragma Pack (Smalls);
   type Odd is range 0 .. 4095;
   type Odds is array (0 .. 7) of Odd; pragma Pack (Odds);
   type Grid is array (1 .. 2, 1 .. 4) of Small; pragma Pack (Grid);
   type Fields is record
      C : Colour;
      N : Odd;
      S : Small;
   end record;
   for Fields use record
      C at 0 range 0 .. 1;
      N at 0 range 2 .. 13;
      S at 0 range 14 .. 17;
   end record;
   type Rec is record A : Bits; B : Smalls; end record;
   P : Bits := (0 => True, 3 => True, 9 => True, others => False);
   C : Colours := (Red, Green, Blue, Blue, Green, Red, Blue);
   S : Smalls := (-8, 7, -1, 0, 1, 2, -3);
   O : Odds := (0 => 1, 1 => 4095, 2 => 2048, 7 => 77, others => 5);
   G : Grid := ((1, -2, 3, 4), (-4, 5, -6, 7));
   F : Fields := (C => Blue, N => 4095, S => -8);
   R : Rec := (A => (1 => True, others => False), B => (others => -5));
   procedure Run;
end Packs;
