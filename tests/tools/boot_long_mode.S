# A boot sector that brings the CPU into 64-bit mode and fills registers with values that cannot be confused,
# for the capture pc-long-mode.  Assembled by make_oracle_captures.py with GNU as.

        .code16
        .globl _start
_start:
        cli
        xorw    %ax, %ax
        movw    %ax, %ds
        movw    %ax, %es
        movw    %ax, %ss
        movw    $0x7000, %sp
        # Page tables at 0x1000 (PML4), 0x2000 (PDPT), 0x3000 (PD): the first 2 MiB mapped one to one.
        movl    $0x1000, %edi
        xorl    %eax, %eax
        movl    $0xc00, %ecx
        cld
        rep stosl
        movl    $0x2003, 0x1000
        movl    $0x3003, 0x2000
        movl    $0x0083, 0x3000
        movl    %cr4, %eax
        orl     $0x40620, %eax          # PAE OSFXSR OSXMMEXCPT OSXSAVE
        movl    %eax, %cr4
        movl    $0x1000, %eax
        movl    %eax, %cr3
        movl    $0xc0000080, %ecx       # EFER: SCE LME NXE
        rdmsr
        orl     $0x901, %eax
        wrmsr
        movl    %cr0, %eax
        orl     $0x80010001, %eax       # PG WP PE
        movl    %eax, %cr0
        lgdtl   gdtr
        ljmp    $8, $long_mode

        .code64
long_mode:
        movw    $16, %ax
        movw    %ax, %ds
        movw    %ax, %ss
        movw    %ax, %fs
        xorl    %ecx, %ecx
        xgetbv
        orl     $7, %eax                # x87 SSE AVX
        xsetbv
        movl    $0xc0000082, %ecx       # LSTAR
        movl    $0x81000040, %eax
        movl    $0xffffffff, %edx
        wrmsr
        movl    $0xc0000102, %ecx       # KERNEL_GS_BASE
        wrmsr
        movl    $0xc0000100, %ecx       # FS base
        movl    $0x12345678, %eax
        xorl    %edx, %edx
        wrmsr
        fninit
        fldpi
        fld1
        fldl2e
        fchs
        vmovdqu values, %ymm0
        vmovdqu values+1, %ymm1
        vmovdqu values+2, %ymm7
        vmovdqu values+3, %ymm15
        movabsq $0x0807060504030201, %rax
        movq    %rax, %dr0
        movq    $-2, %rbx
        movl    $0x22222222, %edx
        movl    $0x33333333, %esi
        movl    $0x44444444, %edi
        movl    $0x55555555, %ebp
        movl    $0x88888888, %r8d
        movl    $0x99999999, %r9d
        movabsq $0xaaaabbbbccccdddd, %r10
        movl    $0x11111111, %r11d
        movl    $0x12121212, %r12d
        movl    $0x13131313, %r13d
        movl    $0x14141414, %r14d
        movl    $0x15151515, %r15d
        stc
        std
1:      incq    %rcx
        jmp     1b

values: .byte   1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18
        .byte   19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29, 30, 31, 32, 33, 34, 35

        .balign 8
gdt:    .quad   0
        .quad   0x00af9a000000ffff      # 64-bit code
        .quad   0x00cf92000000ffff      # data
gdtr:   .word   gdtr - gdt - 1
        .long   gdt

        .org    510
        .word   0xaa55
