! Arrays as otherLanguages.test.ts asks for them.
module kept
  integer :: five(5) = (/1,2,3,4,5/)
  integer :: grid(2,3) = reshape((/11,21,12,22,13,23/),(/2,3/))
  real :: around(-1:1) = (/1.5,2.5,3.5/)
  character(len=5) :: greeting = 'hello'
end module

program arrays
  use kept
  call work(4)
contains
  subroutine work(n)
    integer, intent(in) :: n
    integer :: local(0:n)
    local = n
    five(1) = five(1) + local(2)
    print *, five(1), grid(1,2), around(0), greeting
  end subroutine
end program
