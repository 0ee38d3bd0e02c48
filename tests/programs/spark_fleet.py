"""Which hosts thrash, and amplification by model and kernel: two queries of docs/FLEET.md, by Spark.

usage: spark_fleet.py FOLDER
Prints the rows of both as JSON, one answer a line.
"""
import json
import sys

from pyspark.sql import SparkSession
from pyspark.sql import functions as f

MODEL = "model struct<path: string>, reads struct<amplification: double>, cache struct<inserts: bigint, refaults: bigint>"
AS_FIELD = MODEL.replace("model struct", "model: struct").replace(" reads struct", " reads: struct").replace(
    " cache struct", " cache: struct"
)

spark = (
    SparkSession.builder.master("local[2]")
    .config("spark.ui.enabled", "false")
    .config("spark.driver.bindAddress", "127.0.0.1")
    .config("spark.driver.host", "127.0.0.1")
    .config("spark.sql.shuffle.partitions", "2")
    # Small files together, and folders listed here.
    .config("spark.sql.files.openCostInBytes", "0")
    .config("spark.sql.sources.parallelPartitionDiscovery.threshold", "100000")
    .config("spark.ui.showConsoleProgress", "false")
    .config("spark.sql.sources.partitionColumnTypeInference.enabled", "false")
    .getOrCreate()
)
spark.sparkContext.setLogLevel("ERROR")
records = spark.read.json(
    sys.argv[1],
    schema=f"kernel string, {MODEL}, models array<struct<{AS_FIELD}>>",
    multiLine=True,
    pathGlobFilter="run.json",
)
one = f.array(f.struct("model", "reads", "cache"))
runs = records.select(
    "host",
    "kernel",
    f.explode(f.when(f.size("models") > 0, f.col("models")).otherwise(one)).alias("m"),
).selectExpr(
    "host",
    "kernel",
    "regexp_extract(m.model.path, '[^/]*$', 0) as model",
    "m.reads.amplification as amplification",
    "m.cache.inserts as inserts",
    "m.cache.refaults as refaults",
)
runs.createOrReplaceTempView("runs")
for query in (
    """select host, model, count(*) as runs, sum(refaults) as refaulted_pages,
              sum(refaults) / sum(inserts) as refaulted_share
       from runs where inserts > 0 and refaults is not null
       group by host, model having sum(refaults) > 0.5 * sum(inserts)
       order by refaulted_share desc, host""",
    """select model, kernel, count(amplification) as runs, median(amplification) as median_amplification
       from runs group by model, kernel order by model, kernel""",
):
    print(json.dumps([row.asDict() for row in spark.sql(query).collect()]))
