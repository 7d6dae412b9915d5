"""AiiDA's view of the payload: a calculation, and a work chain of one after the other.

The daemon imports this module, so the folder stands in its PYTHONPATH.
"""

from aiida import orm
from aiida.common import CalcInfo, CodeInfo
from aiida.common.folders import Folder
from aiida.engine import CalcJob, CalcJobProcessSpec, ToContext, WorkChain, while_
from aiida.engine.processes.workchains.workchain import WorkChainSpec


class Payload(CalcJob):
    @classmethod
    def define(cls, spec: CalcJobProcessSpec) -> None:
        super().define(spec)
        spec.inputs["metadata"]["options"]["resources"].default = {
            "num_machines": 1,
            "num_mpiprocs_per_machine": 1,
        }
        spec.inputs["metadata"]["options"]["withmpi"].default = False

    def prepare_for_submission(self, folder: Folder) -> CalcInfo:
        code = CodeInfo()
        code.code_uuid = self.inputs.code.uuid
        info = CalcInfo()
        info.codes_info = [code]
        info.retrieve_list = ["result.dat"]
        return info


class Chain(WorkChain):
    @classmethod
    def define(cls, spec: WorkChainSpec) -> None:
        super().define(spec)
        spec.input("code", valid_type=orm.AbstractCode)
        spec.input("count", valid_type=orm.Int)
        spec.outline(cls.begin, while_(cls.is_left)(cls.next))

    def begin(self) -> None:
        self.ctx.step = 0

    def is_left(self) -> bool:
        return bool(self.ctx.step < self.inputs.count.value)

    def next(self) -> ToContext:
        self.ctx.step += 1
        return ToContext(last=self.submit(Payload, code=self.inputs.code))
