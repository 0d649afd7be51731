"""RQ: a job queue on redis-py, with worker threads and processes that wait in blocking pops."""
import multiprocessing
import threading

from rq import Queue, Retry, SimpleWorker
from rq.job import Job, JobStatus
from rq.registry import FailedJobRegistry, FinishedJobRegistry
from rq.timeouts import TimerDeathPenalty

from conftest import connect, until


def double(n):
    if n % 10 == 7:
        raise ValueError(f"cannot double {n}")
    return 2 * n


def fails_once(name):
    with connect(2) as r:
        if r.incr(f"tries:{name}") == 1:
            raise RuntimeError("the first time")
        return "at last"


class ThreadWorker(SimpleWorker):
    """Runs jobs in its own thread, where no signal can be used."""

    death_penalty_class = TimerDeathPenalty

    def _install_signal_handlers(self):
        pass


def work(protocol, burst=True, most=None):
    with connect(protocol, socket_timeout=None) as connection:
        queue = Queue("jobs", connection=connection)
        ThreadWorker([queue], connection=connection).work(
            burst=burst, max_jobs=most, logging_level="CRITICAL", with_scheduler=False)


def queue_of(client):
    connection = client(socket_timeout=None)
    return Queue("jobs", connection=connection), connection


def check(jobs, queue, connection):
    for n, job in enumerate(jobs):
        job.refresh()
        if n % 10 == 7:
            assert job.get_status() == JobStatus.FAILED
            assert f"cannot double {n}" in job.latest_result().exc_string
        else:
            assert job.get_status() == JobStatus.FINISHED
            assert job.return_value() == 2 * n
    failed = sum(n % 10 == 7 for n in range(len(jobs)))
    assert queue.count == 0
    assert FailedJobRegistry(queue=queue).count == failed
    assert FinishedJobRegistry(queue=queue).count == len(jobs) - failed


def test_three_hundred_jobs_and_three_workers(client, protocol):
    queue, connection = queue_of(client)
    jobs = [queue.enqueue(double, n) for n in range(300)]
    workers = [threading.Thread(target=work, args=(protocol,)) for _ in range(3)]
    [w.start() for w in workers]
    [w.join(25) for w in workers]
    check(jobs, queue, connection)


def test_worker_process_waits_for_jobs(client, protocol):
    """The worker blocks on the empty queue first, and takes each job as it comes."""
    queue, connection = queue_of(client)
    process = multiprocessing.get_context("spawn").Process(target=work, args=(protocol, False, 20))
    process.start()
    try:
        until(lambda: connection.scard("rq:workers") == 1, "the worker", 20)
        jobs = []
        for n in range(20):
            jobs.append(queue.enqueue(double, n))
            until(lambda: jobs[-1].get_status() in (JobStatus.FINISHED, JobStatus.FAILED), f"job {n}")
        process.join(10)
        assert process.exitcode == 0
        check(jobs, queue, connection)
        assert connection.scard("rq:workers") == 0
    finally:
        process.kill()


def test_retries_and_dependencies(client, protocol):
    queue, connection = queue_of(client)
    count = 10
    first = [queue.enqueue(fails_once, str(n), retry=Retry(max=2)) for n in range(count)]
    after = [queue.enqueue(double, 1, depends_on=job) for job in first]
    work(protocol)
    assert [Job.fetch(job.id, connection=connection).return_value() for job in first] == ["at last"] * count
    assert [job.return_value() for job in after] == [2] * count
    assert FailedJobRegistry(queue=queue).count == 0
