"""The rules of cores that issue in order, on loops whose cycles can be counted by hand."""

import unittest

import in_order

SDOT = ["sdot v{0}.4s, v30.16b, v31.4b[0]".format(i) for i in range(8)]


class Cycles(unittest.TestCase):
    def check(self, body: list[str], a53: float, a55: float) -> None:
        self.assertEqual((in_order.cycles("cortex-a53", body), in_order.cycles("cortex-a55", body)), (a53, a55))

    def test_one_product_a_cycle_with_integer_work_beside_it(self) -> None:
        self.check(SDOT, 8, 8)
        self.check([line for product in SDOT for line in (product, "add x1, x1, #16")], 8, 8)
        self.check([line for product in SDOT for line in (product, "ldr x2, [x1]")], 8, 8)

    def test_half_loads_go_beside_products_on_one_core_and_beside_insertions_on_the_other(self) -> None:
        self.check([*SDOT, "ldr d20, [x1]"], 9, 8)
        self.check([*SDOT[:4], "ldr d20, [x1]", "ins v21.d[1], x2", *SDOT[4:]], 9, 8)
        self.check([*SDOT[:4], "ldr d20, [x1]", *SDOT[4:], "mov v21.d[1], x2"], 10, 8)

    def test_whole_loads_stop_both_pipes(self) -> None:
        self.check([*SDOT, "ldr q20, [x1]"], 10, 10)
        self.check([*SDOT, "ldp d20, d21, [x1]"], 10, 10)

    def test_other_vector_instructions_take_a_slot_of_a_product(self) -> None:
        self.check([*SDOT, "dup v20.4s, v21.s[0]", "ext v22.16b, v23.16b, v23.16b, #8", "mov v24.16b, v25.16b"], 11, 11)

    def test_chains_wait_for_results_but_not_for_sums(self) -> None:
        self.check(["sdot v0.4s, v30.16b, v31.16b"] * 4, 4, 4)
        # Each product four cycles after the one that it adds to, and the next chain behind the last.
        self.check(["smull v0.8h, v30.8b, v31.8b", "smlal2 v0.8h, v30.16b, v31.16b", "sadalp v1.4s, v0.8h"], 9, 9)


if __name__ == "__main__":
    unittest.main()
